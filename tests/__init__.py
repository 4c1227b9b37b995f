"""The tests of ``container_manager``; ``python -m tests.run`` runs them on every database."""
