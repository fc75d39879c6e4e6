"""What happens to heads after training, one file a family of steps."""
