// Calls a training step again and again, for steps.py: what a host in C pays for a step.
int loop(int (*step)(void *trainer, double *loss), void *trainer, double *loss, long count);

int loop(int (*step)(void *trainer, double *loss), void *trainer, double *loss, long count) {
    int status = 0;
    for (long i = 0; i < count && !status; i++) status = step(trainer, loss);
    return status;
}
