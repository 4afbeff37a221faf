"""Track 3: does what a language model knows of words help an agent in text games, and does training undo it?"""
