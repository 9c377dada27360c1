"""Text generation for nlplug: prompts and chats to text, token by token."""
