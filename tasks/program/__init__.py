"""`program`: any command as a task; an item's input fills the template of its words."""
