"""Where a model runs. One protocol, five verbs; `native` is one process with torch."""
