/// How the catalogue's sections point at fields. Included by keys_*.cpp only.
#define JOB_FIELD(field) [](Job& job, [[maybe_unused]] std::size_t layer) -> decltype((job.field)) { return job.field; }
#define LAYER_FIELD(field) \
  [](Job& job, std::size_t layer) -> decltype((job.model.layers[layer].field)) { return job.model.layers[layer].field; }
