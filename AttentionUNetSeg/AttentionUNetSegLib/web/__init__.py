"""The tool in a browser: the same session and the same MRML scene, in a page that this machine serves to itself.

    serve(ServeOptions(path=Path("ct.nii.gz")), on_ready=print)

`server` is the process, `access` lets in who may come in, `application` puts the parts together: `views` and
`streaming` (Slicer's views as pictures), `ct_opener`, `segmentation_run`, `segmentation_import`, `shown_result`,
`correction_tools`, `walls`, `gland_numbers` (what the page does), `uploads` and `downloads` (files), `page` and
`page_panel` (what it looks like, with `static/`). All of them share one `workspace`.
"""

from .access import check_host_and_token
from .server import ServeOptions, serve

__all__ = ["ServeOptions", "check_host_and_token", "serve"]
