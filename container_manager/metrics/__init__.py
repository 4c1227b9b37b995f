"""Prometheus metrics of the queue (extra ``metrics``): read when asked for, from small tables."""
