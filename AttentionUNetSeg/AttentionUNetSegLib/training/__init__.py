"""Training on labelled CTs, synthetic ones made from label maps, and evaluation."""
