"""Studies on real text: any Hugging Face model, the trait dataset, rubric judges, checked and open standard tasks."""
