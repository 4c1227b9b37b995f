"""The systems that are measured. Each is a module; ``bench.child`` calls its functions in a process of their own."""
