"""From records to tokens and pixels on disk, ready to be trained on."""
