"""For the tests of projects that use the queue, and of executors that others write."""
