"""Kills workers while they work, and counts what is lost and what runs twice."""
