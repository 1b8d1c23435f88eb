"""What the doctor looks at, a module a subject; `doctor` puts it in order."""
