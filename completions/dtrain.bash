# bash completion for dtrain; printed by `dtrain completions bash`.

_dtrain_offer() {
  mapfile -t COMPREPLY < <(compgen "$@" -- "$word")
}

_dtrain_files() {
  compopt -o filenames 2> /dev/null
  _dtrain_offer "$@"
}

# Values of a key or a flag that has a list of choices.
_dtrain_choices() {
  case "$1" in
    model.loss) _dtrain_offer -W "softmax_cross_entropy binary_cross_entropy mean_squared_error" ;;
    data.format) _dtrain_offer -W "idx npy csv tsv libsvm mapped generated" ;;
    data.csv.missing) _dtrain_offer -W "error mean median zero" ;;
    data.generate.set) _dtrain_offer -W "digits blobs line" ;;
    data.normalize.features) _dtrain_offer -W "none standardize min_max" ;;
    data.normalize.target) _dtrain_offer -W "none standardize min_max" ;;
    data.sharing) _dtrain_offer -W "replicate shard central shared_files peer staged" ;;
    data.partition.by) _dtrain_offer -W "stride contiguous hash label dirichlet" ;;
    train.optimizer.type) _dtrain_offer -W "sgd momentum nesterov adagrad rmsprop adam adamw" ;;
    train.schedule.type) _dtrain_offer -W "constant step exponential cosine" ;;
    train.on_nonfinite) _dtrain_offer -W "stop ignore" ;;
    train.sparse) _dtrain_offer -W "off exact lazy" ;;
    topology.kind) _dtrain_offer -W "parameter_server ring halving_doubling tree auto gossip" ;;
    topology.transport) _dtrain_offer -W "shared_memory ipc tcp" ;;
    topology.split.schedule) _dtrain_offer -W "1f1b gpipe" ;;
    topology.launch) _dtrain_offer -W "ssh print" ;;
    sync.policy) _dtrain_offer -W "bsp asp ssp quorum subset local easgd bmuf adaptive sign_vote gossip" ;;
    sync.adapt) _dtrain_offer -W "staleness period" ;;
    sync.momentum) _dtrain_offer -W "keep reset average" ;;
    sync.compensation) _dtrain_offer -W "none staleness delay" ;;
    sync.rate) _dtrain_offer -W "full share" ;;
    sync.codec) _dtrain_offer -W "none fp16 bf16 qsgd onebit topk zstd" ;;
    sync.zstd_of) _dtrain_offer -W "none fp16 bf16 qsgd onebit topk" ;;
    faults.on_worker_loss) _dtrain_offer -W "stop continue restart" ;;
    output.if_exists) _dtrain_offer -W "new replace fail" ;;
  esac
}

_dtrain_verb() {
  local k
  for ((k = 1; k < COMP_CWORD; ++k)); do
    case "${COMP_WORDS[k]}" in
      run | resume | worker | server | loader | init | data | check | plan | bench | simulate | eval | predict | inspect | verify | compare | report | explain | schema | completions | man)
        verb=${COMP_WORDS[k]}
        return
        ;;
    esac
  done
}

_dtrain() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb="" key=""
  COMPREPLY=()
  _dtrain_verb
  # "--set key=value" arrives as the words --set, key, = and value.
  if [[ $word == "=" ]]; then
    key=$before word=""
  elif [[ $before == "=" ]]; then
    key=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [[ $key == --set ]]; then
    before=--set
  elif [[ $key == --* ]]; then
    before=$key
  elif [[ -n $key ]]; then
    _dtrain_choices "$key"
    return
  fi
  case "$before" in
    --connect)
      :
      return
      ;;
    --out)
      _dtrain_files -d
      return
      ;;
    --replay)
      _dtrain_files -f
      return
      ;;
    --chaos)
      :
      return
      ;;
    --max-time)
      :
      return
      ;;
    --listen)
      :
      return
      ;;
    --token-file)
      _dtrain_files -f
      return
      ;;
    --token-fd)
      :
      return
      ;;
    --data-dir)
      _dtrain_files -d
      return
      ;;
    --join-within)
      :
      return
      ;;
    --data)
      _dtrain_files -f
      return
      ;;
    --target)
      :
      return
      ;;
    --output)
      _dtrain_files -f
      return
      ;;
    --format)
      _dtrain_offer -W "csv tsv libsvm idx npy"
      return
      ;;
    --delimiter)
      :
      return
      ;;
    --labels)
      _dtrain_files -f
      return
      ;;
    --job)
      _dtrain_files -f
      return
      ;;
    --steps)
      :
      return
      ;;
    --workers)
      :
      return
      ;;
    --servers)
      :
      return
      ;;
    --compute)
      :
      return
      ;;
    --latency)
      :
      return
      ;;
    --bandwidth)
      :
      return
      ;;
    --compare)
      :
      return
      ;;
    --lose)
      :
      return
      ;;
    --trace)
      _dtrain_files -f
      return
      ;;
    --at)
      :
      return
      ;;
    --set)
      compopt -o nospace 2> /dev/null; _dtrain_offer -S = -W "name seed model.loss data.format data.dir data.train.features data.train.labels data.test.features data.test.labels data.cache data.holdout data.on_bad_row.skip_max data.csv.delimiter data.csv.header data.csv.target data.csv.categorical data.csv.ignore data.csv.missing_values data.csv.missing data.libsvm.features data.generate.set data.generate.rows data.generate.test_rows data.generate.features data.generate.classes data.generate.noise data.normalize.scale data.normalize.features data.normalize.target data.sharing data.ahead data.partition.by data.partition.alpha data.shuffle train.epochs train.steps train.batch train.micro_batches train.optimizer.type train.optimizer.learning_rate train.optimizer.momentum train.optimizer.beta1 train.optimizer.beta2 train.optimizer.decay_rate train.optimizer.epsilon train.optimizer.weight_decay train.clip_norm train.schedule.type train.schedule.warmup train.schedule.every train.schedule.factor train.schedule.floor train.on_nonfinite train.evaluate train.sparse topology.kind topology.transport topology.workers topology.external topology.max_workers topology.loaders topology.servers topology.external_servers topology.threads topology.memory topology.split.pipeline topology.split.tensor topology.split.schedule topology.launch topology.program sync.policy sync.staleness sync.eager sync.quorum sync.size sync.adapt sync.low sync.high sync.period sync.single_until sync.momentum sync.alpha sync.block_momentum sync.block_rate sync.nesterov sync.compensation sync.lambda sync.adaptive_lambda sync.rate sync.codec sync.zstd_of sync.feedback sync.levels sync.density sync.first_density sync.density_warmup sync.topk_momentum sync.masking sync.topk_clip sync.vote_feedback checkpoint.every checkpoint.keep faults.stalled_after faults.join_within faults.on_worker_loss faults.min_workers faults.max_restarts faults.replicas faults.inject.compute faults.inject.unit faults.inject.bandwidth faults.inject.latency output.dir output.if_exists output.log_every output.trace assert"
      return
      ;;
    --color)
      _dtrain_offer -W "auto always never"
      return
      ;;
  esac
  if [[ $word == -* ]]; then
    case "$verb" in
      run) _dtrain_offer -W "--out --resume --record --replay --chaos --max-time --listen --token-file --insecure --set --json --quiet --verbose --color --help --version" ;;
      resume) _dtrain_offer -W "--record --chaos --max-time --listen --token-file --insecure --set --json --quiet --verbose --color --help --version" ;;
      worker) _dtrain_offer -W "--connect --token-file --token-fd --insecure --data-dir --join-within --json --quiet --verbose --color --help --version" ;;
      server) _dtrain_offer -W "--connect --token-file --token-fd --insecure --data-dir --join-within --json --quiet --verbose --color --help --version" ;;
      loader) _dtrain_offer -W "--connect --token-file --token-fd --insecure --data-dir --join-within --json --quiet --verbose --color --help --version" ;;
      init) _dtrain_offer -W "--data --target --output --json --quiet --verbose --color --help --version" ;;
      data) _dtrain_offer -W "--output --format --target --delimiter --no-header --labels --set --json --quiet --verbose --color --help --version" ;;
      check) _dtrain_offer -W "--set --json --quiet --verbose --color --help --version" ;;
      plan) _dtrain_offer -W "--set --json --quiet --verbose --color --help --version" ;;
      bench) _dtrain_offer -W "--steps --set --json --quiet --verbose --color --help --version" ;;
      simulate) _dtrain_offer -W "--workers --servers --steps --compute --latency --bandwidth --compare --lose --real --trace --set --json --quiet --verbose --color --help --version" ;;
      eval) _dtrain_offer -W "--data --labels --job --set --json --quiet --verbose --color --help --version" ;;
      predict) _dtrain_offer -W "--data --labels --job --probabilities --set --json --quiet --verbose --color --help --version" ;;
      inspect) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
      verify) _dtrain_offer -W "--at --set --json --quiet --verbose --color --help --version" ;;
      compare) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
      report) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
      explain) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
      schema) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
      completions) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
      man) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
      *) _dtrain_offer -W "--json --quiet --verbose --color --help --version" ;;
    esac
    return
  fi
  case "$verb" in
    run) _dtrain_files -f ;;
    resume) _dtrain_files -d ;;
    data) _dtrain_offer -W "info convert" ;;
    check) _dtrain_files -f ;;
    plan) _dtrain_files -f ;;
    bench) _dtrain_files -f ;;
    simulate) _dtrain_files -f ;;
    eval) _dtrain_files -f ;;
    predict) _dtrain_files -f ;;
    inspect) _dtrain_files -f ;;
    verify) _dtrain_offer -W "trace resume" ;;
    compare) _dtrain_files -d ;;
    report) _dtrain_files -d ;;
    explain) _dtrain_offer -W "name seed model model.layers model.layers.dense model.layers.activation model.layers.slope model.layers.dropout model.layers.init model.layers.bias model.layers.stage model.layers.split model.loss data data.format data.dir data.train data.train.features data.train.labels data.test data.test.features data.test.labels data.cache data.holdout data.on_bad_row data.on_bad_row.skip_max data.csv data.csv.delimiter data.csv.header data.csv.target data.csv.categorical data.csv.ignore data.csv.missing_values data.csv.missing data.libsvm data.libsvm.features data.columns data.columns.names data.columns.as data.columns.buckets data.columns.parts data.columns.missing data.columns.value data.columns.clip_low data.columns.clip_high data.columns.log data.columns.scale data.columns.fit data.generate data.generate.set data.generate.rows data.generate.test_rows data.generate.features data.generate.classes data.generate.noise data.normalize data.normalize.scale data.normalize.features data.normalize.target data.sharing data.ahead data.partition data.partition.by data.partition.alpha data.shuffle train train.epochs train.steps train.batch train.micro_batches train.optimizer train.optimizer.type train.optimizer.learning_rate train.optimizer.momentum train.optimizer.beta1 train.optimizer.beta2 train.optimizer.decay_rate train.optimizer.epsilon train.optimizer.weight_decay train.clip_norm train.schedule train.schedule.type train.schedule.warmup train.schedule.every train.schedule.factor train.schedule.floor train.on_nonfinite train.evaluate train.sparse topology topology.kind topology.transport topology.workers topology.external topology.max_workers topology.loaders topology.servers topology.external_servers topology.threads topology.memory topology.split topology.split.pipeline topology.split.tensor topology.split.schedule topology.hosts topology.hosts.host topology.hosts.workers topology.hosts.servers topology.hosts.data_dir topology.launch topology.program sync sync.policy sync.staleness sync.eager sync.quorum sync.size sync.adapt sync.low sync.high sync.period sync.single_until sync.momentum sync.alpha sync.block_momentum sync.block_rate sync.nesterov sync.compensation sync.lambda sync.adaptive_lambda sync.rate sync.codec sync.zstd_of sync.feedback sync.levels sync.density sync.first_density sync.density_warmup sync.topk_momentum sync.masking sync.topk_clip sync.vote_feedback checkpoint checkpoint.every checkpoint.keep faults faults.stalled_after faults.join_within faults.on_worker_loss faults.min_workers faults.max_restarts faults.replicas faults.inject faults.inject.compute faults.inject.unit faults.inject.bandwidth faults.inject.latency output output.dir output.if_exists output.log_every output.trace assert" ;;
    completions) _dtrain_offer -W "bash zsh fish" ;;
    man) _dtrain_offer -W "dtrain.1 dtrain-job.5" ;;
    "") _dtrain_offer -W "run resume worker server loader init data check plan bench simulate eval predict inspect verify compare report explain schema completions man" ;;
  esac
}

complete -F _dtrain dtrain
