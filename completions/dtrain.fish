# fish completion for dtrain; printed by `dtrain completions fish`.

function __dtrain_assignments
    printf '%s\t%s\n' \
        'name=' 'What the run is called in folders and reports; the job file\'s name if empty.' \
        'seed=' 'Names the random draws of the whole run: the same seed gives the same run.' \
        'model.loss=' 'What is minimised: classes want softmax_cross_entropy, a yes or no binary_cross_entropy, a number mean_squared_error.' \
        'model.loss=softmax_cross_entropy' 'What is minimised: classes want softmax_cross_entropy, a yes or no binary_cross_entropy, a number mean_squared_error.' \
        'model.loss=binary_cross_entropy' 'What is minimised: classes want softmax_cross_entropy, a yes or no binary_cross_entropy, a number mean_squared_error.' \
        'model.loss=mean_squared_error' 'What is minimised: classes want softmax_cross_entropy, a yes or no binary_cross_entropy, a number mean_squared_error.' \
        'data.format=' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.format=idx' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.format=npy' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.format=csv' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.format=tsv' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.format=libsvm' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.format=mapped' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.format=generated' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.dir=' 'Folder where relative data files start; itself relative to the job file.' \
        'data.train.features=' 'The training file; with idx the one with the images or vectors.' \
        'data.train.labels=' 'The idx file with the labels of the training rows.' \
        'data.test.features=' 'The test file; with idx the one with the images or vectors.' \
        'data.test.labels=' 'The idx file with the labels of the test rows.' \
        'data.cache=' 'Where parsed files are kept for the next time, by their content: auto (.dtrain-cache beside them), off, or a folder.' \
        'data.holdout=' 'Share of the training rows kept for testing where there is no test file.' \
        'data.on_bad_row.skip_max=' 'Rows that cannot be read and may be left out of a file; the summary counts them.' \
        'data.csv.delimiter=' 'What stands between two fields: one character, tab, or space for runs of blanks.' \
        'data.csv.header=' 'Whether the first line names the columns.' \
        'data.csv.target=' 'The column to predict: its name, its number from 1, first or last.' \
        'data.csv.categorical=' 'Columns, by name or number, whose numbers are categories; text columns always are.' \
        'data.csv.ignore=' 'Columns, by name or number, to leave out.' \
        'data.csv.missing_values=' 'Texts that stand for a missing value.' \
        'data.csv.missing=' 'What a missing number becomes; a missing category is one of its own.' \
        'data.csv.missing=error' 'What a missing number becomes; a missing category is one of its own.' \
        'data.csv.missing=mean' 'What a missing number becomes; a missing category is one of its own.' \
        'data.csv.missing=median' 'What a missing number becomes; a missing category is one of its own.' \
        'data.csv.missing=zero' 'What a missing number becomes; a missing category is one of its own.' \
        'data.libsvm.features=' 'Number of features; 0 takes the highest index in the training file.' \
        'data.generate.set=' 'digits: drawn figures of 28x28 in ten classes; blobs: a normal cloud a class; line: a number linear in the features, for regression.' \
        'data.generate.set=digits' 'digits: drawn figures of 28x28 in ten classes; blobs: a normal cloud a class; line: a number linear in the features, for regression.' \
        'data.generate.set=blobs' 'digits: drawn figures of 28x28 in ten classes; blobs: a normal cloud a class; line: a number linear in the features, for regression.' \
        'data.generate.set=line' 'digits: drawn figures of 28x28 in ten classes; blobs: a normal cloud a class; line: a number linear in the features, for regression.' \
        'data.generate.rows=' 'Training rows to generate.' \
        'data.generate.test_rows=' 'Test rows to generate.' \
        'data.generate.features=' 'Features of blobs and line; digits always have 784.' \
        'data.generate.classes=' 'Classes of blobs; digits always have 10.' \
        'data.generate.noise=' 'Spread of blobs, deviation of line\'s target, blur and jitter of digits.' \
        'data.normalize.scale=' 'Every feature is multiplied by it; 1/255 makes bytes lie between 0 and 1.' \
        'data.normalize.features=' 'standardize: mean 0 and deviation 1 in each column; min_max: from 0 to 1.' \
        'data.normalize.features=none' 'standardize: mean 0 and deviation 1 in each column; min_max: from 0 to 1.' \
        'data.normalize.features=standardize' 'standardize: mean 0 and deviation 1 in each column; min_max: from 0 to 1.' \
        'data.normalize.features=min_max' 'standardize: mean 0 and deviation 1 in each column; min_max: from 0 to 1.' \
        'data.normalize.target=' 'The same for the target of a regression; metrics stay in its own unit.' \
        'data.normalize.target=none' 'The same for the target of a regression; metrics stay in its own unit.' \
        'data.normalize.target=standardize' 'The same for the target of a regression; metrics stay in its own unit.' \
        'data.normalize.target=min_max' 'The same for the target of a regression; metrics stay in its own unit.' \
        'data.sharing=' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.sharing=replicate' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.sharing=shard' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.sharing=central' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.sharing=shared_files' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.sharing=peer' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.sharing=staged' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.ahead=' 'Batches that are fetched ahead of need where rows come from other processes; auto: an epoch\'s under peer, 4 otherwise.' \
        'data.partition.by=' 'stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row\'s number; label: rows in the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own.' \
        'data.partition.by=stride' 'stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row\'s number; label: rows in the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own.' \
        'data.partition.by=contiguous' 'stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row\'s number; label: rows in the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own.' \
        'data.partition.by=hash' 'stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row\'s number; label: rows in the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own.' \
        'data.partition.by=label' 'stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row\'s number; label: rows in the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own.' \
        'data.partition.by=dirichlet' 'stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row\'s number; label: rows in the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own.' \
        'data.partition.alpha=' 'dirichlet: how even the shares of a class are; small numbers give a worker few classes.' \
        'data.shuffle=' 'Whether each epoch visits the rows in an order of its own.' \
        'train.epochs=' 'How often every row is visited.' \
        'train.steps=' 'Ends training after so many steps, if that is before the epochs; 0 never does.' \
        'train.batch=' 'Rows of a step over all workers; never multiplied by their number.' \
        'train.micro_batches=' 'Pieces in which each worker computes its part of a batch, to need less memory or, where the network is a pipeline, to keep all stages busy; auto is four a stage of a pipeline, and 1 without.' \
        'train.optimizer.type=' 'The optimizer.' \
        'train.optimizer.type=sgd' 'The optimizer.' \
        'train.optimizer.type=momentum' 'The optimizer.' \
        'train.optimizer.type=nesterov' 'The optimizer.' \
        'train.optimizer.type=adagrad' 'The optimizer.' \
        'train.optimizer.type=rmsprop' 'The optimizer.' \
        'train.optimizer.type=adam' 'The optimizer.' \
        'train.optimizer.type=adamw' 'The optimizer.' \
        'train.optimizer.learning_rate=' 'Length of a step; what the schedule multiplies.' \
        'train.optimizer.momentum=' 'Share of the last step kept in the next, of momentum and nesterov.' \
        'train.optimizer.beta1=' 'Decay of the running mean of gradients, of adam and adamw.' \
        'train.optimizer.beta2=' 'Decay of the running mean of squared gradients, of adam and adamw.' \
        'train.optimizer.decay_rate=' 'Decay of the running mean of squared gradients, of rmsprop.' \
        'train.optimizer.epsilon=' 'Added to the root of squared gradients, of adagrad, rmsprop, adam and adamw.' \
        'train.optimizer.weight_decay=' 'Pull of weights towards 0, never of biases; decoupled from the gradient in adamw.' \
        'train.clip_norm=' 'Gradients longer than this are shortened to it; 0 leaves them alone.' \
        'train.schedule.type=' 'Shape of the schedule after the warm-up.' \
        'train.schedule.type=constant' 'Shape of the schedule after the warm-up.' \
        'train.schedule.type=step' 'Shape of the schedule after the warm-up.' \
        'train.schedule.type=exponential' 'Shape of the schedule after the warm-up.' \
        'train.schedule.type=cosine' 'Shape of the schedule after the warm-up.' \
        'train.schedule.warmup=' 'Length over which the rate first rises from 0; 0 leaves the warm-up out.' \
        'train.schedule.every=' 'Length after which the factor has been applied once, of step and exponential.' \
        'train.schedule.factor=' 'What the rate is multiplied by, of step and exponential.' \
        'train.schedule.floor=' 'The last rate of cosine, as a share of the first.' \
        'train.on_nonfinite=' 'What happens when the loss or a weight is no longer a finite number.' \
        'train.on_nonfinite=stop' 'What happens when the loss or a weight is no longer a finite number.' \
        'train.on_nonfinite=ignore' 'What happens when the loss or a weight is no longer a finite number.' \
        'train.evaluate=' 'Length between evaluations on the test rows; 0 evaluates at the end only.' \
        'train.sparse=' 'Where rows are mostly zeros, what becomes of first-layer weights whose features do not occur in a step: exact: moments and decay are caught up with when they next do; lazy: nothing; off: rows are treated as dense.' \
        'train.sparse=off' 'Where rows are mostly zeros, what becomes of first-layer weights whose features do not occur in a step: exact: moments and decay are caught up with when they next do; lazy: nothing; off: rows are treated as dense.' \
        'train.sparse=exact' 'Where rows are mostly zeros, what becomes of first-layer weights whose features do not occur in a step: exact: moments and decay are caught up with when they next do; lazy: nothing; off: rows are treated as dense.' \
        'train.sparse=lazy' 'Where rows are mostly zeros, what becomes of first-layer weights whose features do not occur in a step: exact: moments and decay are caught up with when they next do; lazy: nothing; off: rows are treated as dense.' \
        'topology.kind=' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.kind=parameter_server' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.kind=ring' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.kind=halving_doubling' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.kind=tree' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.kind=auto' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.kind=gossip' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.transport=' 'How roles on this machine hand each other numbers: through memory that both see, Unix sockets, or TCP on loopback. Roles elsewhere always use TCP.' \
        'topology.transport=shared_memory' 'How roles on this machine hand each other numbers: through memory that both see, Unix sockets, or TCP on loopback. Roles elsewhere always use TCP.' \
        'topology.transport=ipc' 'How roles on this machine hand each other numbers: through memory that both see, Unix sockets, or TCP on loopback. Roles elsewhere always use TCP.' \
        'topology.transport=tcp' 'How roles on this machine hand each other numbers: through memory that both see, Unix sockets, or TCP on loopback. Roles elsewhere always use TCP.' \
        'topology.workers=' 'Processes that compute gradients, external ones included.' \
        'topology.external=' 'How many of the workers will join from outside.' \
        'topology.max_workers=' 'Most workers that a run may grow to: others may join while it goes on. auto is topology.workers.' \
        'topology.loaders=' 'Processes that read rows under data.sharing: staged; as many others transform them for the workers.' \
        'topology.servers=' 'Processes that own slices of the weights, under topology.kind: parameter_server; 0 trains in one process; auto is 0 for one local worker and 1 otherwise. Under topology.split every part of the network has as many of its own: it is a multiple of pipeline x tensor, which auto is, or 0 where no two workers have the same part.' \
        'topology.external_servers=' 'How many of the servers will join from outside.' \
        'topology.threads=' 'Threads of each role; auto shares out the cores of the machine.' \
        'topology.memory=' 'Memory that each worker may have; a network that needs more is refused, or split; 0 sets no limit.' \
        'topology.split.pipeline=' 'Stages, each of some layers, through which the micro-batches of a batch pass.' \
        'topology.split.tensor=' 'Workers of a stage, each with a part of its weight matrices.' \
        'topology.split.schedule=' 'Order in which a stage of a pipeline takes micro-batches: forward and backward in turn, which keeps the outputs of few of them (1f1b), or all forward and then all backward (gpipe). Both give the same gradient.' \
        'topology.split.schedule=1f1b' 'Order in which a stage of a pipeline takes micro-batches: forward and backward in turn, which keeps the outputs of few of them (1f1b), or all forward and then all backward (gpipe). Both give the same gradient.' \
        'topology.split.schedule=gpipe' 'Order in which a stage of a pipeline takes micro-batches: forward and backward in turn, which keeps the outputs of few of them (1f1b), or all forward and then all backward (gpipe). Both give the same gradient.' \
        'topology.launch=' 'How roles on other hosts are started: over ssh, which must not ask for a password, or by hand, with the lines that are printed.' \
        'topology.launch=ssh' 'How roles on other hosts are started: over ssh, which must not ask for a password, or by hand, with the lines that are printed.' \
        'topology.launch=print' 'How roles on other hosts are started: over ssh, which must not ask for a password, or by hand, with the lines that are printed.' \
        'topology.program=' 'What dtrain is called on other hosts: a path, or a name that their shell finds.' \
        'sync.policy=' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=bsp' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=asp' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=ssp' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=quorum' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=subset' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=local' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=easgd' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=bmuf' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=adaptive' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=sign_vote' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.policy=gossip' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.staleness=' 'Under ssp, how far a worker may be ahead of the slowest.' \
        'sync.eager=' 'Under ssp, whether all workers get fresh weights whenever the slowest moves on.' \
        'sync.quorum=' 'Under quorum, how many pushes end a step; auto is all workers but one.' \
        'sync.size=' 'Under subset, how many workers are drawn for a step; auto is half of them.' \
        'sync.adapt=' 'Under adaptive, what is set while running: the staleness of ssp, by the measured waits, or the period of local, by the loss.' \
        'sync.adapt=staleness' 'Under adaptive, what is set while running: the staleness of ssp, by the measured waits, or the period of local, by the loss.' \
        'sync.adapt=period' 'Under adaptive, what is set while running: the staleness of ssp, by the measured waits, or the period of local, by the loss.' \
        'sync.low=' 'Under adaptive, the least staleness or period.' \
        'sync.high=' 'Under adaptive, the greatest staleness or period.' \
        'sync.period=' 'Under local, easgd and bmuf, a worker\'s own steps between two exchanges; under adaptive, the first such period.' \
        'sync.single_until=' 'Under local, the period is 1 until then (post-local).' \
        'sync.momentum=' 'Under local and bmuf, what becomes of the workers\' optimizer moments when their weights are averaged: kept, set to zero, or averaged too.' \
        'sync.momentum=keep' 'Under local and bmuf, what becomes of the workers\' optimizer moments when their weights are averaged: kept, set to zero, or averaged too.' \
        'sync.momentum=reset' 'Under local and bmuf, what becomes of the workers\' optimizer moments when their weights are averaged: kept, set to zero, or averaged too.' \
        'sync.momentum=average' 'Under local and bmuf, what becomes of the workers\' optimizer moments when their weights are averaged: kept, set to zero, or averaged too.' \
        'sync.alpha=' 'Under easgd, the share of the way that worker and centre go towards each other; auto is 0.9 / workers.' \
        'sync.block_momentum=' 'Under bmuf, the momentum of block updates; auto is 1 - 1 / workers.' \
        'sync.block_rate=' 'Under bmuf, the share of a block\'s change that is taken.' \
        'sync.nesterov=' 'Under bmuf, whether a block starts where the momentum leads.' \
        'sync.compensation=' 'Under asp and ssp, what is done about old gradients: nothing; the learning rate divided by the staleness; or the gradient corrected by how far the weights have moved since they were pulled.' \
        'sync.compensation=none' 'Under asp and ssp, what is done about old gradients: nothing; the learning rate divided by the staleness; or the gradient corrected by how far the weights have moved since they were pulled.' \
        'sync.compensation=staleness' 'Under asp and ssp, what is done about old gradients: nothing; the learning rate divided by the staleness; or the gradient corrected by how far the weights have moved since they were pulled.' \
        'sync.compensation=delay' 'Under asp and ssp, what is done about old gradients: nothing; the learning rate divided by the staleness; or the gradient corrected by how far the weights have moved since they were pulled.' \
        'sync.lambda=' 'Strength of sync.compensation: delay.' \
        'sync.adaptive_lambda=' 'Whether sync.lambda is divided by the root of each weight\'s mean squared gradient.' \
        'sync.rate=' 'Under asp and ssp, whether a push is applied as it is or scaled by its share of the batch.' \
        'sync.rate=full' 'Under asp and ssp, whether a push is applied as it is or scaled by its share of the batch.' \
        'sync.rate=share' 'Under asp and ssp, whether a push is applied as it is or scaled by its share of the batch.' \
        'sync.codec=' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.codec=none' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.codec=fp16' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.codec=bf16' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.codec=qsgd' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.codec=onebit' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.codec=topk' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.codec=zstd' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.zstd_of=' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.zstd_of=none' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.zstd_of=fp16' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.zstd_of=bf16' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.zstd_of=qsgd' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.zstd_of=onebit' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.zstd_of=topk' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.feedback=' 'Under fp16, bf16, qsgd and onebit, whether workers add what a codec lost in one step to the gradient of the next; auto does so under onebit.' \
        'sync.levels=' 'Under qsgd, how many levels there are between nothing and the norm of 512 values.' \
        'sync.density=' 'Under topk, the share of the values that is sent in a step.' \
        'sync.first_density=' 'Under topk, that share in the first step; it goes to sync.density geometrically.' \
        'sync.density_warmup=' 'Under topk, when sync.density is reached.' \
        'sync.topk_momentum=' 'Under topk, the momentum of the velocity that each worker keeps: what an optimizer with momentum would make of gradients that all are sent.' \
        'sync.masking=' 'Under topk with sync.topk_momentum, whether the velocity of a value that is sent begins anew.' \
        'sync.topk_clip=' 'Under topk, the most that the norm of a worker\'s gradient may be, piece by piece, before it is added to what has not been sent; 0 allows any.' \
        'sync.vote_feedback=' 'Under sign_vote, whether what the signs of a gradient leave out is added to the next.' \
        'checkpoint.every=' 'Length or time between checkpoints; 0 writes none on the way.' \
        'checkpoint.keep=' 'How many of the newest checkpoints are kept.' \
        'faults.stalled_after=' 'Time without progress after which a role counts as lost.' \
        'faults.join_within=' 'Time until every role must have joined.' \
        'faults.on_worker_loss=' 'What a run does when a worker is lost: end, go on with those that are left, or start it anew.' \
        'faults.on_worker_loss=stop' 'What a run does when a worker is lost: end, go on with those that are left, or start it anew.' \
        'faults.on_worker_loss=continue' 'What a run does when a worker is lost: end, go on with those that are left, or start it anew.' \
        'faults.on_worker_loss=restart' 'What a run does when a worker is lost: end, go on with those that are left, or start it anew.' \
        'faults.min_workers=' 'Fewest workers with which a run goes on.' \
        'faults.max_restarts=' 'How often in all a lost role is started anew, or the run goes back to its last checkpoint, before it ends.' \
        'faults.replicas=' 'Servers beside its own that keep each slice of the weights, so that a server may be lost and nothing with it; not with faults.on_worker_loss other than stop.' \
        'faults.inject.compute=' 'How many units a step of a worker takes at least: constant:1, exponential:1, pareto:1,2.5 (least, shape), two_point:1,5,0.1 (usual, slow, how often), slow:1,3,0 (usual, factor, rank) or trace:FILE.' \
        'faults.inject.unit=' 'What one unit of faults.inject.compute is; ten times the time of a step or more.' \
        'faults.inject.bandwidth=' 'How much each role\'s link to the others carries each way, for data between servers and workers or among workers; 0 sets no limit. Shared memory is not used over such a link.' \
        'faults.inject.latency=' 'How long such a message is under way beside that.' \
        'output.dir=' 'Folder of the run folders; relative to the job file.' \
        'output.if_exists=' 'What happens when there is a run of that name: a new folder beside it, in its place, or an error.' \
        'output.if_exists=new' 'What happens when there is a run of that name: a new folder beside it, in its place, or an error.' \
        'output.if_exists=replace' 'What happens when there is a run of that name: a new folder beside it, in its place, or an error.' \
        'output.if_exists=fail' 'What happens when there is a run of that name: a new folder beside it, in its place, or an error.' \
        'output.log_every=' 'Steps between two lines of metrics.' \
        'output.trace=' 'Whether trace.jsonl tells of every push, pull, release and application.' \
        'assert=' 'Comparisons that must hold at the end, such as test.accuracy >= 0.97; otherwise the exit code is 9.'
end

function __dtrain_keys
    printf '%s\t%s\n' \
        'name' 'What the run is called in folders and reports; the job file\'s name if empty.' \
        'seed' 'Names the random draws of the whole run: the same seed gives the same run.' \
        'model' 'The network and what it minimises.' \
        'model.layers' 'The layers, from the input to the output.' \
        'model.layers.dense' 'Outputs of a dense layer; each is a weighted sum of all its inputs.' \
        'model.layers.activation' 'Function applied to each output; the last layer before a cross-entropy loss has none, for the loss contains it.' \
        'model.layers.slope' 'Slope of leaky_relu below 0.' \
        'model.layers.dropout' 'Probability with which an output is zeroed in training.' \
        'model.layers.init' 'Distribution of the first weights; auto is he before relu, leaky_relu, gelu and softplus, and glorot otherwise.' \
        'model.layers.bias' 'Whether a learned constant is added to each output.' \
        'model.layers.stage' 'Stage of the pipeline that has the layer, from 1, under topology.split.pipeline; auto makes the stages\' work as equal as it can be. All layers name one, or none.' \
        'model.layers.split' 'How the layer\'s weights are cut under topology.split.tensor: each worker has some of the outputs, or some of the inputs, or the first has all; auto is what takes least time by the sizes, an output cut and an input cut in turn where layers are wide.' \
        'model.loss' 'What is minimised: classes want softmax_cross_entropy, a yes or no binary_cross_entropy, a number mean_squared_error.' \
        'data' 'Where the rows come from and how they are shared out.' \
        'data.format' 'What the files hold; mapped is what `dtrain data convert` writes; generated data are drawn from the seed and need no file.' \
        'data.dir' 'Folder where relative data files start; itself relative to the job file.' \
        'data.train' 'The training rows; a plain path is short for its features.' \
        'data.train.features' 'The training file; with idx the one with the images or vectors.' \
        'data.train.labels' 'The idx file with the labels of the training rows.' \
        'data.test' 'The test rows; a plain path is short for its features.' \
        'data.test.features' 'The test file; with idx the one with the images or vectors.' \
        'data.test.labels' 'The idx file with the labels of the test rows.' \
        'data.cache' 'Where parsed files are kept for the next time, by their content: auto (.dtrain-cache beside them), off, or a folder.' \
        'data.holdout' 'Share of the training rows kept for testing where there is no test file.' \
        'data.on_bad_row' 'What a row that cannot be read does: error, or {skip_max: K}: up to K of them are left out.' \
        'data.on_bad_row.skip_max' 'Rows that cannot be read and may be left out of a file; the summary counts them.' \
        'data.csv' 'How to read csv files.' \
        'data.csv.delimiter' 'What stands between two fields: one character, tab, or space for runs of blanks.' \
        'data.csv.header' 'Whether the first line names the columns.' \
        'data.csv.target' 'The column to predict: its name, its number from 1, first or last.' \
        'data.csv.categorical' 'Columns, by name or number, whose numbers are categories; text columns always are.' \
        'data.csv.ignore' 'Columns, by name or number, to leave out.' \
        'data.csv.missing_values' 'Texts that stand for a missing value.' \
        'data.csv.missing' 'What a missing number becomes; a missing category is one of its own.' \
        'data.libsvm' 'How to read libsvm files.' \
        'data.libsvm.features' 'Number of features; 0 takes the highest index in the training file.' \
        'data.columns' 'What is done to columns of a csv file, in the order of these keys; an entry a rule.' \
        'data.columns.names' 'The columns, by name or by number from 1, that this entry is about.' \
        'data.columns.as' 'auto: numbers where all cells are, else categories; category: a feature for each value; hash: one of `buckets` features, by the value\'s hash; date: numbers for its `parts`; ignore: left out.' \
        'data.columns.buckets' 'hash: features that the values share.' \
        'data.columns.parts' 'date: the numbers taken from it; weekday 0 is Monday, days counts from 1970-01-01 with fractions.' \
        'data.columns.missing' 'What a missing cell becomes; auto: of a number what data.csv.missing says, of a category a level of its own.' \
        'data.columns.value' 'missing constant: what a missing number becomes.' \
        'data.columns.clip_low' 'Smaller numbers become this; auto leaves them.' \
        'data.columns.clip_high' 'Larger numbers become this; auto leaves them.' \
        'data.columns.log' 'Natural logarithm of the number, or of the number and 1; taken after clipping.' \
        'data.columns.scale' 'Every number is multiplied by it, after the logarithm.' \
        'data.columns.fit' 'standardize: mean 0 and deviation 1; min_max: from 0 to 1, on the training rows and after all else; auto: as data.normalize.features says.' \
        'data.generate' 'What to generate; the rows are a function of the seed.' \
        'data.generate.set' 'digits: drawn figures of 28x28 in ten classes; blobs: a normal cloud a class; line: a number linear in the features, for regression.' \
        'data.generate.rows' 'Training rows to generate.' \
        'data.generate.test_rows' 'Test rows to generate.' \
        'data.generate.features' 'Features of blobs and line; digits always have 784.' \
        'data.generate.classes' 'Classes of blobs; digits always have 10.' \
        'data.generate.noise' 'Spread of blobs, deviation of line\'s target, blur and jitter of digits.' \
        'data.normalize' 'What is done to numbers before training; fitted on the training rows only.' \
        'data.normalize.scale' 'Every feature is multiplied by it; 1/255 makes bytes lie between 0 and 1.' \
        'data.normalize.features' 'standardize: mean 0 and deviation 1 in each column; min_max: from 0 to 1.' \
        'data.normalize.target' 'The same for the target of a regression; metrics stay in its own unit.' \
        'data.sharing' 'replicate: every worker reads all rows; shard: each has rows of its own; central: the coordinator serves them; shared_files: each maps the files and reads its part; peer: each holds a shard, and pieces are traded; staged: loader processes read and transform.' \
        'data.ahead' 'Batches that are fetched ahead of need where rows come from other processes; auto: an epoch\'s under peer, 4 otherwise.' \
        'data.partition' 'How shards are cut.' \
        'data.partition.by' 'stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row\'s number; label: rows in the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own.' \
        'data.partition.alpha' 'dirichlet: how even the shares of a class are; small numbers give a worker few classes.' \
        'data.shuffle' 'Whether each epoch visits the rows in an order of its own.' \
        'train' 'How long and how to train.' \
        'train.epochs' 'How often every row is visited.' \
        'train.steps' 'Ends training after so many steps, if that is before the epochs; 0 never does.' \
        'train.batch' 'Rows of a step over all workers; never multiplied by their number.' \
        'train.micro_batches' 'Pieces in which each worker computes its part of a batch, to need less memory or, where the network is a pipeline, to keep all stages busy; auto is four a stage of a pipeline, and 1 without.' \
        'train.optimizer' 'How a gradient becomes a step; formulas and defaults as in torch.optim.' \
        'train.optimizer.type' 'The optimizer.' \
        'train.optimizer.learning_rate' 'Length of a step; what the schedule multiplies.' \
        'train.optimizer.momentum' 'Share of the last step kept in the next, of momentum and nesterov.' \
        'train.optimizer.beta1' 'Decay of the running mean of gradients, of adam and adamw.' \
        'train.optimizer.beta2' 'Decay of the running mean of squared gradients, of adam and adamw.' \
        'train.optimizer.decay_rate' 'Decay of the running mean of squared gradients, of rmsprop.' \
        'train.optimizer.epsilon' 'Added to the root of squared gradients, of adagrad, rmsprop, adam and adamw.' \
        'train.optimizer.weight_decay' 'Pull of weights towards 0, never of biases; decoupled from the gradient in adamw.' \
        'train.clip_norm' 'Gradients longer than this are shortened to it; 0 leaves them alone.' \
        'train.schedule' 'How the learning rate changes while training goes on.' \
        'train.schedule.type' 'Shape of the schedule after the warm-up.' \
        'train.schedule.warmup' 'Length over which the rate first rises from 0; 0 leaves the warm-up out.' \
        'train.schedule.every' 'Length after which the factor has been applied once, of step and exponential.' \
        'train.schedule.factor' 'What the rate is multiplied by, of step and exponential.' \
        'train.schedule.floor' 'The last rate of cosine, as a share of the first.' \
        'train.on_nonfinite' 'What happens when the loss or a weight is no longer a finite number.' \
        'train.evaluate' 'Length between evaluations on the test rows; 0 evaluates at the end only.' \
        'train.sparse' 'Where rows are mostly zeros, what becomes of first-layer weights whose features do not occur in a step: exact: moments and decay are caught up with when they next do; lazy: nothing; off: rows are treated as dense.' \
        'topology' 'Which processes there are.' \
        'topology.kind' 'How workers reach each other: through servers that own the weights, or without any: by an all-reduce (ring, halving_doubling, tree, or auto, which chooses one by the sizes), or in pairs (gossip).' \
        'topology.transport' 'How roles on this machine hand each other numbers: through memory that both see, Unix sockets, or TCP on loopback. Roles elsewhere always use TCP.' \
        'topology.workers' 'Processes that compute gradients, external ones included.' \
        'topology.external' 'How many of the workers will join from outside.' \
        'topology.max_workers' 'Most workers that a run may grow to: others may join while it goes on. auto is topology.workers.' \
        'topology.loaders' 'Processes that read rows under data.sharing: staged; as many others transform them for the workers.' \
        'topology.servers' 'Processes that own slices of the weights, under topology.kind: parameter_server; 0 trains in one process; auto is 0 for one local worker and 1 otherwise. Under topology.split every part of the network has as many of its own: it is a multiple of pipeline x tensor, which auto is, or 0 where no two workers have the same part.' \
        'topology.external_servers' 'How many of the servers will join from outside.' \
        'topology.threads' 'Threads of each role; auto shares out the cores of the machine.' \
        'topology.memory' 'Memory that each worker may have; a network that needs more is refused, or split; 0 sets no limit.' \
        'topology.split' 'How one network is spread over pipeline x tensor workers. There may be several times as many: all workers with the same part of the network share the rows.' \
        'topology.split.pipeline' 'Stages, each of some layers, through which the micro-batches of a batch pass.' \
        'topology.split.tensor' 'Workers of a stage, each with a part of its weight matrices.' \
        'topology.split.schedule' 'Order in which a stage of a pipeline takes micro-batches: forward and backward in turn, which keeps the outputs of few of them (1f1b), or all forward and then all backward (gpipe). Both give the same gradient.' \
        'topology.hosts' 'The hosts of the run and the roles on each. The numbers of workers and servers follow from it, and ranks count through it from 0.' \
        'topology.hosts.host' 'The host as ssh takes it, HOST or USER@HOST; localhost, or the name of this machine, for roles that are started here.' \
        'topology.hosts.workers' 'Workers on this host.' \
        'topology.hosts.servers' 'Parameter servers on this host.' \
        'topology.hosts.data_dir' 'Folder of the data on this host, where it is not data.dir.' \
        'topology.launch' 'How roles on other hosts are started: over ssh, which must not ask for a password, or by hand, with the lines that are printed.' \
        'topology.program' 'What dtrain is called on other hosts: a path, or a name that their shell finds.' \
        'sync' 'When workers wait for each other, and what they exchange.' \
        'sync.policy' 'bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more than sync.staleness steps ahead; quorum: a step takes the first pushes; subset: a step is a few workers\' drawn by lot; local: workers step alone and average; easgd: they pull at a common centre; bmuf: averages with block momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, by the majority of the gradients\' signs; gossip: pairs of workers average.' \
        'sync.staleness' 'Under ssp, how far a worker may be ahead of the slowest.' \
        'sync.eager' 'Under ssp, whether all workers get fresh weights whenever the slowest moves on.' \
        'sync.quorum' 'Under quorum, how many pushes end a step; auto is all workers but one.' \
        'sync.size' 'Under subset, how many workers are drawn for a step; auto is half of them.' \
        'sync.adapt' 'Under adaptive, what is set while running: the staleness of ssp, by the measured waits, or the period of local, by the loss.' \
        'sync.low' 'Under adaptive, the least staleness or period.' \
        'sync.high' 'Under adaptive, the greatest staleness or period.' \
        'sync.period' 'Under local, easgd and bmuf, a worker\'s own steps between two exchanges; under adaptive, the first such period.' \
        'sync.single_until' 'Under local, the period is 1 until then (post-local).' \
        'sync.momentum' 'Under local and bmuf, what becomes of the workers\' optimizer moments when their weights are averaged: kept, set to zero, or averaged too.' \
        'sync.alpha' 'Under easgd, the share of the way that worker and centre go towards each other; auto is 0.9 / workers.' \
        'sync.block_momentum' 'Under bmuf, the momentum of block updates; auto is 1 - 1 / workers.' \
        'sync.block_rate' 'Under bmuf, the share of a block\'s change that is taken.' \
        'sync.nesterov' 'Under bmuf, whether a block starts where the momentum leads.' \
        'sync.compensation' 'Under asp and ssp, what is done about old gradients: nothing; the learning rate divided by the staleness; or the gradient corrected by how far the weights have moved since they were pulled.' \
        'sync.lambda' 'Strength of sync.compensation: delay.' \
        'sync.adaptive_lambda' 'Whether sync.lambda is divided by the root of each weight\'s mean squared gradient.' \
        'sync.rate' 'Under asp and ssp, whether a push is applied as it is or scaled by its share of the batch.' \
        'sync.codec' 'How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; zstd: without loss, over what sync.zstd_of has packed.' \
        'sync.zstd_of' 'Under sync.codec: zstd, the codec whose bytes are packed once more.' \
        'sync.feedback' 'Under fp16, bf16, qsgd and onebit, whether workers add what a codec lost in one step to the gradient of the next; auto does so under onebit.' \
        'sync.levels' 'Under qsgd, how many levels there are between nothing and the norm of 512 values.' \
        'sync.density' 'Under topk, the share of the values that is sent in a step.' \
        'sync.first_density' 'Under topk, that share in the first step; it goes to sync.density geometrically.' \
        'sync.density_warmup' 'Under topk, when sync.density is reached.' \
        'sync.topk_momentum' 'Under topk, the momentum of the velocity that each worker keeps: what an optimizer with momentum would make of gradients that all are sent.' \
        'sync.masking' 'Under topk with sync.topk_momentum, whether the velocity of a value that is sent begins anew.' \
        'sync.topk_clip' 'Under topk, the most that the norm of a worker\'s gradient may be, piece by piece, before it is added to what has not been sent; 0 allows any.' \
        'sync.vote_feedback' 'Under sign_vote, whether what the signs of a gradient leave out is added to the next.' \
        'checkpoint' 'What is kept to resume from.' \
        'checkpoint.every' 'Length or time between checkpoints; 0 writes none on the way.' \
        'checkpoint.keep' 'How many of the newest checkpoints are kept.' \
        'faults' 'How long to wait for a role, and what to do without it.' \
        'faults.stalled_after' 'Time without progress after which a role counts as lost.' \
        'faults.join_within' 'Time until every role must have joined.' \
        'faults.on_worker_loss' 'What a run does when a worker is lost: end, go on with those that are left, or start it anew.' \
        'faults.min_workers' 'Fewest workers with which a run goes on.' \
        'faults.max_restarts' 'How often in all a lost role is started anew, or the run goes back to its last checkpoint, before it ends.' \
        'faults.replicas' 'Servers beside its own that keep each slice of the weights, so that a server may be lost and nothing with it; not with faults.on_worker_loss other than stop.' \
        'faults.inject' 'Slowness made on purpose, to measure what a policy makes of it.' \
        'faults.inject.compute' 'How many units a step of a worker takes at least: constant:1, exponential:1, pareto:1,2.5 (least, shape), two_point:1,5,0.1 (usual, slow, how often), slow:1,3,0 (usual, factor, rank) or trace:FILE.' \
        'faults.inject.unit' 'What one unit of faults.inject.compute is; ten times the time of a step or more.' \
        'faults.inject.bandwidth' 'How much each role\'s link to the others carries each way, for data between servers and workers or among workers; 0 sets no limit. Shared memory is not used over such a link.' \
        'faults.inject.latency' 'How long such a message is under way beside that.' \
        'output' 'What is written where.' \
        'output.dir' 'Folder of the run folders; relative to the job file.' \
        'output.if_exists' 'What happens when there is a run of that name: a new folder beside it, in its place, or an error.' \
        'output.log_every' 'Steps between two lines of metrics.' \
        'output.trace' 'Whether trace.jsonl tells of every push, pull, release and application.' \
        'assert' 'Comparisons that must hold at the end, such as test.accuracy >= 0.97; otherwise the exit code is 9.'
end

complete -c dtrain -f
complete -c dtrain -l json -d 'print one JSON document on stdout instead of text'
complete -c dtrain -s q -l quiet -d 'nothing on stderr but warnings and errors'
complete -c dtrain -s v -l verbose -d 'tell more on stderr'
complete -c dtrain -l color -x -a 'auto always never' -d 'auto, always or never (auto: on a terminal, unless NO_COLOR is set)'
complete -c dtrain -s h -l help -d 'show help, also for one verb, and exit'
complete -c dtrain -l version -d 'show the version and exit'

complete -c dtrain -n __fish_use_subcommand -a run -d 'train the network of a job file, here and now'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l out -x -a '(__fish_complete_directories)' -d 'folder of the run (default: output.dir and the job\'s name)'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l resume -d 'go on if the folder of --out holds a checkpoint; begin anew if not'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l record -d 'write down the order of all pushes and pulls, as output.trace does, for --replay and verify'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l replay -r -F -d 'a trace.jsonl of this very job: repeat its order of pushes and pulls, to the same weights'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l chaos -x -d 'make faults on purpose: ACTION[:WHO][@STEP or @~PROBABILITY][:TIME or :COUNT], several separated by commas; kill, stop, delay, drop, duplicate, cut, disk; worker.1, server.*, worker.?, coordinator; seed=N'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l max-time -x -d 'save a checkpoint and exit with 75 after this time, such as "90 s" or "2 h"'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l listen -x -d 'where roles from outside may join: tcp://ADDRESS:PORT, with * for any free port'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l token-file -r -F -d 'the run\'s key and secret: run writes the file, those who join read it; - is their standard input'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l insecure -d 'allow a connection to other hosts that is neither encrypted nor authenticated'
complete -c dtrain -n '__fish_seen_subcommand_from run' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from run' -F

complete -c dtrain -n __fish_use_subcommand -a resume -d 'go on with a run that was stopped'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -l record -d 'write down the order of all pushes and pulls, as output.trace does, for --replay and verify'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -l chaos -x -d 'make faults on purpose: ACTION[:WHO][@STEP or @~PROBABILITY][:TIME or :COUNT], several separated by commas; kill, stop, delay, drop, duplicate, cut, disk; worker.1, server.*, worker.?, coordinator; seed=N'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -l max-time -x -d 'save a checkpoint and exit with 75 after this time, such as "90 s" or "2 h"'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -l listen -x -d 'where roles from outside may join: tcp://ADDRESS:PORT, with * for any free port'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -l token-file -r -F -d 'the run\'s key and secret: run writes the file, those who join read it; - is their standard input'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -l insecure -d 'allow a connection to other hosts that is neither encrypted nor authenticated'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from resume' -a '(__fish_complete_directories)'

complete -c dtrain -n __fish_use_subcommand -a worker -d 'join a run as a worker, from this or another machine'
complete -c dtrain -n '__fish_seen_subcommand_from worker' -l connect -x -d 'where the run listens, as it printed it: tcp://HOST:PORT'
complete -c dtrain -n '__fish_seen_subcommand_from worker' -l token-file -r -F -d 'the run\'s key and secret: run writes the file, those who join read it; - is their standard input'
complete -c dtrain -n '__fish_seen_subcommand_from worker' -l token-fd -x -d 'read the token from this open file descriptor'
complete -c dtrain -n '__fish_seen_subcommand_from worker' -l insecure -d 'allow a connection to other hosts that is neither encrypted nor authenticated'
complete -c dtrain -n '__fish_seen_subcommand_from worker' -l data-dir -x -a '(__fish_complete_directories)' -d 'look for the data here instead of in the job\'s data.dir'
complete -c dtrain -n '__fish_seen_subcommand_from worker' -l join-within -x -d 'give up if the run has not let us in by then (default: 60 s)'

complete -c dtrain -n __fish_use_subcommand -a server -d 'join a run as a parameter server, from this or another machine'
complete -c dtrain -n '__fish_seen_subcommand_from server' -l connect -x -d 'where the run listens, as it printed it: tcp://HOST:PORT'
complete -c dtrain -n '__fish_seen_subcommand_from server' -l token-file -r -F -d 'the run\'s key and secret: run writes the file, those who join read it; - is their standard input'
complete -c dtrain -n '__fish_seen_subcommand_from server' -l token-fd -x -d 'read the token from this open file descriptor'
complete -c dtrain -n '__fish_seen_subcommand_from server' -l insecure -d 'allow a connection to other hosts that is neither encrypted nor authenticated'
complete -c dtrain -n '__fish_seen_subcommand_from server' -l data-dir -x -a '(__fish_complete_directories)' -d 'look for the data here instead of in the job\'s data.dir'
complete -c dtrain -n '__fish_seen_subcommand_from server' -l join-within -x -d 'give up if the run has not let us in by then (default: 60 s)'

complete -c dtrain -n __fish_use_subcommand -a loader -d 'join a run as a loader of rows; runs start theirs themselves'
complete -c dtrain -n '__fish_seen_subcommand_from loader' -l connect -x -d 'where the run listens, as it printed it: tcp://HOST:PORT'
complete -c dtrain -n '__fish_seen_subcommand_from loader' -l token-file -r -F -d 'the run\'s key and secret: run writes the file, those who join read it; - is their standard input'
complete -c dtrain -n '__fish_seen_subcommand_from loader' -l token-fd -x -d 'read the token from this open file descriptor'
complete -c dtrain -n '__fish_seen_subcommand_from loader' -l insecure -d 'allow a connection to other hosts that is neither encrypted nor authenticated'
complete -c dtrain -n '__fish_seen_subcommand_from loader' -l data-dir -x -a '(__fish_complete_directories)' -d 'look for the data here instead of in the job\'s data.dir'
complete -c dtrain -n '__fish_seen_subcommand_from loader' -l join-within -x -d 'give up if the run has not let us in by then (default: 60 s)'

complete -c dtrain -n __fish_use_subcommand -a init -d 'write a job for a data file, ready to run'
complete -c dtrain -n '__fish_seen_subcommand_from init' -l data -r -F -d 'the rows that the job is to be for'
complete -c dtrain -n '__fish_seen_subcommand_from init' -l target -x -d 'the column to predict: its name, or its number from 1'
complete -c dtrain -n '__fish_seen_subcommand_from init' -s o -l output -r -F -d 'where the job is written (default: job.yaml)'

complete -c dtrain -n __fish_use_subcommand -a data -d 'look at data files, or convert them'
complete -c dtrain -n '__fish_seen_subcommand_from data' -s o -l output -r -F -d 'convert: where the rows are written'
complete -c dtrain -n '__fish_seen_subcommand_from data' -l format -x -a 'csv tsv libsvm idx npy' -d 'what the file is (default: told by its first bytes)'
complete -c dtrain -n '__fish_seen_subcommand_from data' -l target -x -d 'the column to predict (default: the last)'
complete -c dtrain -n '__fish_seen_subcommand_from data' -l delimiter -x -d 'what stands between two fields'
complete -c dtrain -n '__fish_seen_subcommand_from data' -l no-header -d 'the first line is a row'
complete -c dtrain -n '__fish_seen_subcommand_from data' -l labels -r -F -d 'the labels of IDX or NPY features'
complete -c dtrain -n '__fish_seen_subcommand_from data' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from data' -a 'info convert'

complete -c dtrain -n __fish_use_subcommand -a check -d 'tell every mistake in a job file, and start nothing'
complete -c dtrain -n '__fish_seen_subcommand_from check' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from check' -F

complete -c dtrain -n __fish_use_subcommand -a plan -d 'show who would do what: processes, slices, bytes and memory'
complete -c dtrain -n '__fish_seen_subcommand_from plan' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from plan' -F

complete -c dtrain -n __fish_use_subcommand -a bench -d 'measure how fast this machine trains a job'
complete -c dtrain -n '__fish_seen_subcommand_from bench' -l steps -x -d 'how many steps to time (default: as many as a few seconds allow)'
complete -c dtrain -n '__fish_seen_subcommand_from bench' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from bench' -F

complete -c dtrain -n __fish_use_subcommand -a simulate -d 'see what sync policies would make of stragglers and slow links, in virtual time'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l workers -x -d 'how many workers (default: the job\'s)'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l servers -x -d 'how many servers, at most 1024 (default: the job\'s, or 1)'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l steps -x -d 'steps of every worker or, with --real, batches of all together (default: the job\'s, or 1000)'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l compute -x -d 'seconds that a step takes: constant:1, exponential:1, pareto:1,2.5, two_point:1,5,0.1, slow:1,3,0 or trace:FILE, a line for a step and a column for a rank, which both start again at the end (default: constant:1)'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l latency -x -d 'of every message, such as "1 ms" (default: 0)'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l bandwidth -x -d 'of every node\'s link, each way, such as "10 Gbit/s" (default: without end)'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l compare -x -d 'which, between commas: bsp, asp, ssp:3, ssp:3:eager, quorum:3, subset:2, local:10, easgd:10, bmuf:10, adaptive:0-10, adaptive:period:1-10, sign_vote, gossip, each at most once (default: the job\'s)'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l lose -x -d 'a worker is lost at a time, and comes back at another; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l real -d 'compute the job\'s own gradients too, and show the loss against virtual time'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l trace -r -F -d 'write down every push, pull, release and application of the one policy that is simulated'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from simulate' -F

complete -c dtrain -n __fish_use_subcommand -a eval -d 'judge a trained model on data that has labels'
complete -c dtrain -n '__fish_seen_subcommand_from eval' -l data -r -F -d 'rows to use instead of the run\'s test part'
complete -c dtrain -n '__fish_seen_subcommand_from eval' -l labels -r -F -d 'the labels that go with --data, where they are a file of their own (IDX)'
complete -c dtrain -n '__fish_seen_subcommand_from eval' -l job -r -F -d 'job file that says how the data is written (default: the run\'s own)'
complete -c dtrain -n '__fish_seen_subcommand_from eval' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from eval' -F

complete -c dtrain -n __fish_use_subcommand -a predict -d 'print a trained model\'s prediction for every row of a file'
complete -c dtrain -n '__fish_seen_subcommand_from predict' -l data -r -F -d 'rows to predict'
complete -c dtrain -n '__fish_seen_subcommand_from predict' -l labels -r -F -d 'the labels that go with --data, where they are a file of their own (IDX)'
complete -c dtrain -n '__fish_seen_subcommand_from predict' -l job -r -F -d 'job file that says how the data is written (default: the run\'s own)'
complete -c dtrain -n '__fish_seen_subcommand_from predict' -l probabilities -d 'after the class, the probability of every class, between tabs'
complete -c dtrain -n '__fish_seen_subcommand_from predict' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from predict' -F

complete -c dtrain -n __fish_use_subcommand -a inspect -d 'look into a run folder, a checkpoint or a model file'
complete -c dtrain -n '__fish_seen_subcommand_from inspect' -F

complete -c dtrain -n __fish_use_subcommand -a verify -d 'check that runs keep what was promised'
complete -c dtrain -n '__fish_seen_subcommand_from verify' -l at -x -d 'resume: kill the run at this step (default: drawn from the seed, after the first checkpoint)'
complete -c dtrain -n '__fish_seen_subcommand_from verify' -l set -x -a '(__dtrain_assignments)' -d 'give a key of the job another value; may be given many times'
complete -c dtrain -n '__fish_seen_subcommand_from verify' -a 'trace resume'

complete -c dtrain -n __fish_use_subcommand -a compare -d 'show two finished runs side by side'
complete -c dtrain -n '__fish_seen_subcommand_from compare' -a '(__fish_complete_directories)'

complete -c dtrain -n __fish_use_subcommand -a report -d 'write a run\'s report anew and print its path'
complete -c dtrain -n '__fish_seen_subcommand_from report' -a '(__fish_complete_directories)'

complete -c dtrain -n __fish_use_subcommand -a explain -d 'say what a key of a job file means'
complete -c dtrain -n '__fish_seen_subcommand_from explain' -a '(__dtrain_keys)'

complete -c dtrain -n __fish_use_subcommand -a schema -d 'print the JSON Schema of job files, for editors'

complete -c dtrain -n __fish_use_subcommand -a completions -d 'print the completion script of a shell'
complete -c dtrain -n '__fish_seen_subcommand_from completions' -a 'bash zsh fish'

complete -c dtrain -n __fish_use_subcommand -a man -d 'print a manual page in the form that man(1) reads'
complete -c dtrain -n '__fish_seen_subcommand_from man' -a 'dtrain.1 dtrain-job.5'
