"""An application that has job definitions, as a user's would."""
