"""A job's output on a page: ``lines`` cuts what is stored, ``selecting`` picks a part, ``ansi`` makes it safe HTML."""
