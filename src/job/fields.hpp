/// How the catalogue's sections point at fields. Included by keys_*.cpp only.
#define JOB_FIELD(field) [](Job& job, [[maybe_unused]] std::size_t entry) -> decltype((job.field)) { return job.field; }
/// A field of the maps in a list.
#define ENTRY_FIELD(list, field) \
  [](Job& job, std::size_t entry) -> decltype((job.list[entry].field)) { return job.list[entry].field; }
#define LAYER_FIELD(field) ENTRY_FIELD(model.layers, field)
#define COLUMN_FIELD(field) ENTRY_FIELD(data.columns, field)
#define HOST_FIELD(field) ENTRY_FIELD(topology.hosts, field)
/// The list itself.
#define LIST_FIELD(list)                                                                                      \
  ListAccess {                                                                                                \
    [](const Job& job) { return job.list.size(); }, [](Job& job, std::size_t size) { job.list.resize(size); } \
  }
