"""How gunicorn serves: the worker, its connections and their limits."""
