"""`fetch`: requests of the public web, within limits that the whole fleet keeps."""
