"""What people look at: display colours, panels, videos and pages. Everything measured elsewhere is in linear camera units."""
