#include "data/files.hpp"

#include "base/error.hpp"
#include "data/contents.hpp"
#include "data/csv_table.hpp"
#include "data/generate.hpp"
#include "data/idx.hpp"
#include "data/libsvm.hpp"

namespace dtrain::data {
namespace {

IdxArray read_idx(const job::Data& data, const std::string& path) {
  const std::string file = resolve(data, path);
  return parse_idx(read_contents(file), file);
}

Table idx_of(const job::Data& data, const job::Files& files) {
  Origin origin;
  origin.folder = data.dir;
  origin.files = {{files.features, files.labels, 0, {}, {}}};
  std::optional<IdxArray> labels;
  if (!files.labels.empty()) labels = read_idx(data, files.labels);
  return idx_table(read_idx(data, files.features), labels, std::move(origin));
}

IndexLimit limit_of(const job::Data& data, const Schema* schema) {
  if (schema != nullptr) return {schema->width, fmt::format("the {} features of the training data", schema->width)};
  return {data.libsvm_features, fmt::format("data.libsvm.features = {}", data.libsvm_features)};
}

}  // namespace

Table read_files(const job::Data& data, const job::Files& files, const Schema* schema) {
  if (files.features.empty()) fail(Kind::data, "no file of features is named");
  const Origin::File file{files.features, "", 0, {}, {}};
  switch (data.format) {
    case job::Format::idx: return idx_of(data, files);
    case job::Format::csv: return parse_csv(read_contents(resolve(data, files.features)), file, data.dir, data, schema);
    case job::Format::libsvm:
      return parse_libsvm(read_contents(resolve(data, files.features)), file, data.dir, limit_of(data, schema));
    case job::Format::npy:
    case job::Format::tsv:
    case job::Format::mapped: fail(Kind::data, "this format cannot be read yet");
    case job::Format::generated: break;
  }
  fail(Kind::data, "generated data has no files: name a data format");
}

std::optional<Table> raw_part(const job::Job& job, Part part, const Table* train) {
  if (job.data.format == job::Format::generated) {
    if (part == Part::test && job.data.generate.test_rows == 0) return std::nullopt;
    return generated_table(job.data.generate, job.seed, part);
  }
  if (part == Part::train) return read_files(job.data, job.data.train, nullptr);
  if (job.data.test.features.empty()) return std::nullopt;
  Schema schema;
  for (const Column& column : train->columns()) schema.columns.push_back({column.name, column.text});
  schema.target = train->target() ? train->target()->name : "";
  schema.width = train->width();
  schema.target_required = false;
  return read_files(job.data, job.data.test, &schema);
}

}  // namespace dtrain::data
