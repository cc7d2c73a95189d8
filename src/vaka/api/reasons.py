"""Every reason that a condition or a report may give: one list, so that people and code share the words.

Each says on which conditions it stands, what it means and what a person can do; docs/states.md is made
from it.
"""

from enum import StrEnum


class Reason(StrEnum):
    conditions: tuple[str, ...]
    meaning: str
    advice: str

    def __new__(cls, word: str, conditions: str = "", meaning: str = "", advice: str = "") -> "Reason":
        self = str.__new__(cls, word)
        self._value_ = word
        self.conditions = tuple(conditions.split())
        self.meaning = meaning
        self.advice = advice
        return self

    # A TrainingJob on its way
    CREATED = "JobCreated", "Created Running", "The Job is made, its pods follow.", "Nothing."
    INVALID_SPEC = (
        "InvalidSpec",
        "Created Running Ready",
        "A field of the spec is wrong in a way that only the operator or a child's own checks can see.",
        "Correct the field that the message names; the object goes on by itself.",
    )
    OBJECT_REFUSED = (
        "ObjectRefused",
        "Created Running Ready",
        "The API server does not let the operator make or change a child, such as for a quota.",
        "Remove what the message names; it is tried again by itself.",
    )
    NAME_TAKEN = (
        "NameTaken",
        "Created Running Ready",
        "An object that belongs to somebody else has the name of a child.",
        "Delete that object, or give this one another name.",
    )
    CLEANING_UP = (
        "CleaningUp",
        "Created Running Ready",
        "Something of a former object of this name is still ending.",
        "Nothing; a pod on a lost node ends when the node is back or removed.",
    )
    POD_REFUSED = (
        "PodRefused",
        "Running Ready",
        "The namespace does not admit a pod: a quota, a limit range or PodSecurity.",
        "Raise the quota or correct what the message names; it is tried again by itself.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        "Running Ready",
        "No node can take a pod; the message is the scheduler's own.",
        "Request less, add nodes, or correct nodeSelector, affinity and tolerations.",
    )
    VOLUME_PENDING = (
        "VolumePending",
        "Running Ready",
        "A volume is missing, not bound or cannot be mounted.",
        "Create the claim, or correct its name, size or storage class.",
    )
    SECRET_MISSING = (
        "SecretMissing",
        "Running Ready",
        "A Secret that a container needs does not exist.",
        "Create the Secret in this namespace, or correct its name.",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        "Running Ready",
        "The node cannot pull the image.",
        "Correct the image's name, or let the node pull it.",
    )
    CONTAINER_REFUSED = (
        "ContainerRefused",
        "Running Ready",
        "The node cannot start the container as it is described.",
        "Correct command, env or image.",
    )
    CONTAINER_STARTING = (
        "ContainerStarting",
        "Running Ready",
        "A pod's containers are being started: images are pulled, volumes mounted, data is copied.",
        "Nothing.",
    )
    QUEUED = (
        "Queued",
        "Queued Running",
        "The job waits until its Kueue queue admits it, at first or after it was preempted.",
        "Nothing; the message says what the queue lacks.",
    )
    ADMITTED = "Admitted", "Queued", "The queue has admitted the job.", "Nothing."
    SUSPENDED = (
        "Suspended",
        "Suspended Running Created",
        "spec.suspend is true and no pod is left; the newest checkpoint is kept.",
        "Set spec.suspend to false to go on.",
    )
    RESUMED = "Resumed", "Suspended", "spec.suspend is false again.", "Nothing."
    STOPPING = (
        "Stopping",
        "Running",
        "The job is suspended, preempted, pruned or has failed, and pods still write a checkpoint and end.",
        "Nothing; they have terminationGracePeriodSeconds for it.",
    )
    RESTARTING = (
        "Restarting",
        "Restarting Running",
        "A pod failed or was removed; another attempt continues from the newest checkpoint.",
        "Read in the message what ended the former attempt.",
    )
    # What a trainer reports
    STARTING = "Starting", "Running", "The trainer's process starts.", "Nothing."
    WAITING_FOR_NODES = (
        "WaitingForNodes",
        "Running",
        "The trainer waits until enough of its nodes have found each other.",
        "Nothing; if it lasts, see what holds up the other pods.",
    )
    LOADING_DATASET = "LoadingDataset", "Running", "The trainer reads and checks the data set.", "Nothing."
    DATASET_NOT_FOUND = (
        "DatasetNotFound",
        "Running",
        "There is nothing at dataset.storageUri.",
        "Put the data there, or correct the URI; it is tried again by itself.",
    )
    STORAGE_UNREACHABLE = (
        "StorageUnreachable",
        "Running Ready",
        "The storage does not answer or refuses the credentials.",
        "Correct the URI, the Secret or the network; it is tried again by itself.",
    )
    TRAINING = "Training", "Running", "Training goes on.", "Nothing."
    SEARCHING = "Searching", "Running", "Trials of spec.search go on.", "Nothing."
    PUBLISHING = "Publishing", "Running", "The model is being written and checked.", "Nothing."
    SUCCEEDED = "Succeeded", "Complete", "Training has ended well.", "Serve the model of status.model."
    # Why it failed
    DATASET_INVALID = (
        "DatasetInvalid",
        "Failed",
        "The data set is broken; trying again cannot help.",
        "Repair what the message names, and create the job anew.",
    )
    CONFIG_INVALID = (
        "ConfigInvalid",
        "Failed",
        "The settings do not fit the data or the machine; trying again cannot help.",
        "Correct what the message names, and create the job anew.",
    )
    NON_FINITE_LOSS = (
        "NonFiniteLoss",
        "Failed",
        "The loss became infinite or not a number.",
        "Lower the learning rate, or look for broken data.",
    )
    OUT_OF_MEMORY = (
        "OutOfMemory",
        "Failed Ready",
        "A container used more memory than its limit.",
        "Raise the memory limit, or lower the batch size.",
    )
    DISRUPTED = (
        "Disrupted",
        "Failed",
        "The pod was taken away from outside: drained, preempted or evicted. It does not count as a failure.",
        "Nothing.",
    )
    KILLED = (
        "Killed",
        "Failed",
        "The pod was killed (SIGKILL) or removed by force from outside, and not for its memory. "
        "It does not count as a failure.",
        "Nothing.",
    )
    NODE_LOST = (
        "NodeLost",
        "Failed",
        "Another node of the job was lost while it trained. It does not count as a failure.",
        "Nothing; see why that node's pod ended.",
    )
    TRAINER_FAILED = (
        "TrainerFailed",
        "Failed",
        "The container ended with an error of its own.",
        "Read its last lines in status.failure.",
    )
    BACKOFF_LIMIT_EXCEEDED = (
        "BackoffLimitExceeded",
        "Failed",
        "Training failed more often in a row than spec.backoffLimit, with no newer checkpoint in between.",
        "Read how the last pod ended in status.failure.",
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        "Failed",
        "The job ran longer than spec.activeDeadlineSeconds.",
        "Allow more, or train less.",
    )
    PRUNED = (
        "Pruned",
        "Failed",
        "The search stopped this trial: it did worse than the median of the others.",
        "Nothing; spec.search.pruner none lets every trial end.",
    )
    TRIALS_FAILED = (
        "TrialsFailed",
        "Failed",
        "No trial of the search succeeded.",
        "Read in status.search.trials why, and create the job anew.",
    )
    RESULT_UNKNOWN = (
        "ResultUnknown",
        "Failed",
        "The trainer ended well, but nobody read which model it published.",
        "Serve the model by its storageUri, or create the job anew.",
    )
    # An InferenceService
    WAITING_FOR_TRAINING_JOB = (
        "WaitingForTrainingJob",
        "Ready",
        "The TrainingJob has published no model yet.",
        "Nothing, or give storageUri.",
    )
    TRAINING_JOB_NOT_FOUND = (
        "TrainingJobNotFound",
        "Ready",
        "There is no TrainingJob of this name in the namespace.",
        "Create it, or correct the name.",
    )
    TRAINING_JOB_FAILED = (
        "TrainingJobFailed",
        "Ready",
        "The TrainingJob has failed and will publish no model.",
        "Correct it, delete it and create it anew.",
    )
    LOADING_MODEL = "LoadingModel", "Ready", "The server reads and checks its model.", "Nothing."
    MODEL_NOT_FOUND = (
        "ModelNotFound",
        "Ready",
        "There is no model at storageUri.",
        "Put it there, or correct the URI; it is tried again by itself.",
    )
    MODEL_INVALID = (
        "ModelInvalid",
        "Ready",
        "What is at storageUri is no model that can be served.",
        "Give a folder that a TrainingJob has published, or an ONNX file.",
    )
    DIGEST_MISMATCH = (
        "DigestMismatch",
        "Ready",
        "The model is not the one that the digest stands for, or is damaged.",
        "Publish it again, or correct the digest.",
    )
    CRASH_LOOP = "CrashLoop", "Ready", "The server ends again and again.", "Read why in the message."
    ROLLING_OUT = "RollingOut", "Ready", "Pods are being replaced.", "Nothing."
    SCALED_TO_ZERO = (
        "ScaledToZero",
        "Ready",
        "Nobody has asked for a while, so no pod runs; the next request starts one and waits for it.",
        "Nothing; minReplicas: 1 keeps a pod.",
    )
    GATEWAY_API_MISSING = (
        "GatewayApiMissing",
        "IngressReady Ready",
        "spec.router.gateway is given, and the cluster does not know HTTPRoutes.",
        "Install the Gateway API and a controller for it, or take gateway out.",
    )
    GATEWAY_PENDING = (
        "GatewayPending",
        "IngressReady Ready",
        "The Gateway has not taken the service's HTTPRoute; the service can be reached inside the cluster.",
        "Correct what the message names; the Gateway's own status says more.",
    )
    CANARY_STEP = (
        "CanaryStep",
        "CanaryPredictorReady",
        "The canary has passed its gates and gets the next part of the traffic; told as an event.",
        "Nothing.",
    )
    CANARY_PROMOTED = (
        "CanaryPromoted",
        "CanaryPredictorReady",
        "The canary has passed all its gates and keeps the last part of the traffic.",
        "Move spec.canary.predictor to spec.predictor, and take spec.canary out.",
    )
    CANARY_ROLLED_BACK = (
        "CanaryRolledBack",
        "CanaryPredictorReady Ready",
        "The canary has not passed a gate and gets no traffic any more; the message has the figures.",
        "Correct the model and change spec.canary, or take spec.canary out.",
    )
    READY = "Ready", "Ready", "All pods serve the model.", "Nothing."
