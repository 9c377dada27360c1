"""What ``nlplug.plugins`` is made of: metadata, the contract's checks, the loader's failures."""
