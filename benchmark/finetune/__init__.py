"""Track 2: does online fine-tuning forget what pre-training knew?"""
