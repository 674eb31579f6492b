"""The operations of images and videos."""
