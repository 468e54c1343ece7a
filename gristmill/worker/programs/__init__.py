"""Items that are programs: their processes, files and journal."""
