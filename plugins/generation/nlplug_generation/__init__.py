"""Text generation for nlplug: continues prompts and answers chats."""
