"""What is made of the commands and of the settings: man pages and completion for shells."""
