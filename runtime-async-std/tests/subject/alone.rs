// Nothing: this program has no command but serving.
