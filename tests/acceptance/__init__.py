"""The real `gristmill` command with real workers, from directories that are not the project's."""
