"""Reader studies: built, served, audited and analysed."""
