"""What several tasks share; a plugin's task is a short subclass of one of these."""
