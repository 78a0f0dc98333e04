"""The embedded default: a small world of readable conversations, its language, and tiny base models.

Authors have a latent persona that shapes what they do in every behaviour, domain and format; see `world/*.toml`
for everything they say. A model organism: results are claims about itself, never about large models.
"""
