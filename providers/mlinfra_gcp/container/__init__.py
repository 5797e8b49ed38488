"""The program that runs inside Vertex AI's containers; standard library, and what those containers have."""
