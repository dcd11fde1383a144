"""A corpus: the committed rows of many runs, read as one set of tables. Nothing is copied, and no run reads another's rows."""
