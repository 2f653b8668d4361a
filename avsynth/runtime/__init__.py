"""How a run happens, never what comes out: errors, options, executors, progress, caches."""
