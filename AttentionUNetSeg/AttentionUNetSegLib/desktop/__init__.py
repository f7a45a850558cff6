"""The Slicer desktop module below its shell: the panel's sections, the worker behind QProcess, installing PyTorch.

Everything here runs inside Slicer's own process and needs qt, ctk and slicer; nothing imports torch.
`runs` and `results` are what `AttentionUNetSegLogic` hands on; `panel` is what the widget shows.
"""
