"""The background process that holds torch and the model, and the client that drives it.

`client`, `transport`, `job_folder` and `protocol` need only the standard library, so Slicer's own
process can import them; `server` and `segmenting` run in the worker process. `reading` reads CTs in a small process
without torch (`reading_process`). Import what you need from the submodule itself: this file imports nothing, so that
asking for the client never loads the server.
"""
