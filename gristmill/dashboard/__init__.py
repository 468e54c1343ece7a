"""Flower: the dashboard of workers and tasks."""
