"""What `conf/` says: sources and their kinds, recipes, artifacts; and the checks before a run."""
