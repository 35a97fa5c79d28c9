"""Where rows come from: files, archives and databases, and which of them are held out."""
