"""The frozen types that pass between the stages; they import only quantity and errors."""
