"""Front doors: libvirt's wire protocol now, others beside it later. Every door calls the service and nothing else."""
