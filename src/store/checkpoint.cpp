#include "store/checkpoint.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "store/strict_json.hpp"
#include "store/tensors.hpp"

namespace dtrain::store {
namespace {

constexpr const char* tensors_name = "state.safetensors";
constexpr const char* progress_name = "progress.json";
constexpr const char* done_name = "DONE";
constexpr const char* replaced_suffix = ".replaced";
constexpr int progress_version = 2;

struct Candidate {
  std::uint64_t step = 0;
  bool replaced = false;
  fs::path folder;
};

/// step-N and step-N.replaced; anything else is not ours.
std::optional<Candidate> as_candidate(const fs::path& folder) {
  std::string name = folder.filename().string();
  Candidate candidate{0, name.ends_with(replaced_suffix), folder};
  if (candidate.replaced) name.resize(name.size() - std::string_view(replaced_suffix).size());
  if (!name.starts_with("step-")) return std::nullopt;
  const auto step = parse_integer(name.substr(5));
  if (!step || *step < 0 || name != fmt::format("step-{}", *step)) return std::nullopt;
  candidate.step = static_cast<std::uint64_t>(*step);
  return candidate;
}

fs::path checkpoints_of(const fs::path& run) { return run / "checkpoints"; }

/// Newest first; of one step, the superseded one last.
std::vector<Candidate> candidates(const fs::path& run) {
  std::vector<Candidate> found;
  std::error_code code;
  for (fs::directory_iterator at(checkpoints_of(run), code), end; !code && at != end; at.increment(code))
    if (auto candidate = as_candidate(at->path())) found.push_back(std::move(*candidate));
  std::sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
    return a.step != b.step ? a.step > b.step : a.replaced < b.replaced;
  });
  return found;
}

void rename_folder(const fs::path& from, const fs::path& to) {
  std::error_code code;
  fs::rename(from, to, code);
  if (code) throw Error(Kind::environment, with_errno("cannot rename to " + to.string(), code.value()));
}

/// What cannot be removed now is removed by a later save.
void remove_quietly(const fs::path& folder) {
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

void remove_stale_parts(const fs::path& checkpoints) {
  std::vector<fs::path> stale;
  std::error_code code;
  for (fs::directory_iterator at(checkpoints, code), end; !code && at != end; at.increment(code)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(".step-") && name.ends_with(".part")) stale.push_back(at->path());
  }
  for (const fs::path& folder : stale) remove_quietly(folder);
}

void name_tensors(const std::string& prefix, const Arena& weights, const std::vector<Arena>& moments,
                  std::vector<NamedTensor>& out) {
  out.push_back({prefix + "weights", {weights.size()}, weights.span()});
  for (std::size_t k = 0; k < moments.size(); ++k)
    out.push_back({fmt::format("{}moment.{}", prefix, k), {moments[k].size()}, moments[k].span()});
}

std::string prefix_of(std::size_t worker) { return fmt::format("worker.{}.", worker); }

std::string encode_state_tensors(const State& state) {
  std::vector<NamedTensor> tensors;
  name_tensors("", state.weights, state.moments, tensors);
  for (std::size_t r = 0; r < state.own.size(); ++r)
    name_tensors(prefix_of(r), state.own[r].weights, state.own[r].moments, tensors);
  return encode_tensors(tensors, {});
}

std::string encode_progress(const State& state) {
  const Json progress = {{"version", progress_version},
                         {"step", state.step},
                         {"applied_rows", state.applied_rows},
                         {"clocks", state.clocks},
                         {"updates", state.updates},
                         {"moments", state.moments.size()},
                         {"workers", state.own.size()},
                         {"worker_moments", state.own.empty() ? 0 : state.own.front().moments.size()},
                         {"policy", state.policy},
                         {"facts", state.facts}};
  return progress.dump(2) + "\n";
}

/// Fills `folder` and syncs it; DONE comes last, so that it vouches for the rest.
void write_contents(const fs::path& folder, const State& state) {
  make_folder(folder);
  std::string done;
  for (const auto& [name, bytes] :
       {std::pair(tensors_name, encode_state_tensors(state)), std::pair(progress_name, encode_progress(state))}) {
    write_file(folder / name, bytes);
    done += fmt::format("{}  {}\n", sha256(bytes_of(bytes)), name);
  }
  write_file(folder / done_name, done);
  sync_folder(folder);
}

/// At every instant step-N or step-N.replaced is a whole checkpoint.
void put_in_place(const fs::path& part, const fs::path& folder) {
  const fs::path replaced = folder.string() + replaced_suffix;
  const bool exists = fs::exists(fs::symlink_status(folder));
  if (exists) {
    remove_quietly(replaced);
    rename_folder(folder, replaced);
  }
  try {
    rename_folder(part, folder);
  } catch (const Error&) {
    if (exists) rename_folder(replaced, folder);
    throw;
  }
  sync_folder(folder.parent_path());
}

/// Complete as far as can be told without reading it all again.
bool looks_complete(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {done_name, tensors_name, progress_name})
    if (!fs::is_regular_file(folder / name, ignored)) return false;
  return true;
}

void prune(const fs::path& run, const fs::path& newest, int keep) {
  int kept = 1;
  for (const Candidate& candidate : candidates(run)) {
    if (candidate.folder == newest) continue;
    if (!candidate.replaced && kept < keep && looks_complete(candidate.folder))
      ++kept;
    else
      remove_quietly(candidate.folder);
  }
}

std::map<std::string, std::string> read_sums(const fs::path& folder) {
  std::map<std::string, std::string> sums;
  for (const std::string& line : split(trim(read_file(folder / done_name, Kind::checkpoint)), '\n')) {
    const std::size_t gap = line.find("  ");
    if (gap != 64) throw std::runtime_error("DONE is damaged");
    sums[line.substr(gap + 2)] = line.substr(0, gap);
  }
  return sums;
}

std::string read_vouched(const fs::path& folder, const char* name, const std::map<std::string, std::string>& sums) {
  const auto sum = sums.find(name);
  if (sum == sums.end()) throw std::runtime_error(fmt::format("DONE does not name {}", name));
  std::string bytes = read_file(folder / name, Kind::checkpoint);
  if (sha256(bytes_of(bytes)) != sum->second)
    throw std::runtime_error(fmt::format("{} is damaged: its sum is not the one in DONE", name));
  return bytes;
}

const Json& field(const Json& progress, const char* key) {
  if (!progress.contains(key)) throw std::runtime_error(fmt::format("progress.json lacks \"{}\"", key));
  return progress[key];
}

std::uint64_t count(const Json& value, const char* key) {
  // The upper half is refused, so that every count fits an Index too.
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >> 63 != 0)
    throw std::runtime_error(fmt::format("progress.json: \"{}\" is no count", key));
  return value.get<std::uint64_t>();
}

Arena copy_flat(const TensorFile& file, const std::string& name) {
  const TensorFile::Entry* entry = file.find(name);
  if (entry == nullptr) throw std::runtime_error("state.safetensors lacks " + name);
  if (entry->shape.size() != 1) throw std::runtime_error(name + " is not one flat vector");
  Arena arena(entry->shape[0]);
  std::copy(entry->values.begin(), entry->values.end(), arena.data());
  return arena;
}

/// How many tensors there are of each kind.
struct Counts {
  std::uint64_t moments = 0, workers = 0, worker_moments = 0;
};

void read_progress(std::string_view text, State& state, Counts& counts) {
  const Json progress = parse_strict<Json>(text, {});
  if (!progress.is_object()) throw std::runtime_error("progress.json is not an object");
  if (field(progress, "version") != progress_version)
    throw std::runtime_error("progress.json was written by another version of dtrain");
  state.step = count(field(progress, "step"), "step");
  state.applied_rows = static_cast<Index>(count(field(progress, "applied_rows"), "applied_rows"));
  state.updates = count(field(progress, "updates"), "updates");
  counts.moments = count(field(progress, "moments"), "moments");
  counts.workers = count(field(progress, "workers"), "workers");
  counts.worker_moments = count(field(progress, "worker_moments"), "worker_moments");
  const Json& clocks = field(progress, "clocks");
  if (!clocks.is_array()) throw std::runtime_error("progress.json: \"clocks\" is not a list");
  for (const Json& clock : clocks) state.clocks.push_back(count(clock, "clocks"));
  state.policy = field(progress, "policy");
  if (!state.policy.is_object()) throw std::runtime_error("progress.json: \"policy\" is not an object");
  state.facts = field(progress, "facts");
}

void take_arenas(const TensorFile& file, const std::string& prefix, std::uint64_t moments, Arena& weights,
                 std::vector<Arena>& out) {
  weights = copy_flat(file, prefix + "weights");
  for (std::uint64_t k = 0; k < moments; ++k) {
    out.push_back(copy_flat(file, fmt::format("{}moment.{}", prefix, k)));
    if (out.back().size() != weights.size()) throw std::runtime_error("a moment is not as long as the weights");
  }
}

void read_tensors_into(std::string_view bytes, const std::string& where, const Counts& counts, State& state) {
  const TensorFile file = decode_tensors(bytes, where + "/" + tensors_name, Kind::checkpoint);
  const auto most = static_cast<std::uint64_t>(file.tensors.size());
  if (counts.moments >= most || counts.workers > most || counts.worker_moments >= most ||
      most != 1 + counts.moments + counts.workers * (1 + counts.worker_moments))
    throw std::runtime_error("state.safetensors does not hold the moments it should");
  take_arenas(file, "", counts.moments, state.weights, state.moments);
  for (std::uint64_t r = 0; r < counts.workers; ++r) {
    OwnState& own = state.own.emplace_back();
    take_arenas(file, prefix_of(r), counts.worker_moments, own.weights, own.moments);
    if (own.weights.size() != state.weights.size())
      throw std::runtime_error("a worker's weights are not as many as the model's");
  }
}

State load_checked(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) throw std::runtime_error("there is no such folder");
  if (!fs::exists(folder / done_name, ignored)) throw std::runtime_error("is incomplete: there is no DONE");
  const auto sums = read_sums(folder);
  const std::string progress = read_vouched(folder, progress_name, sums);
  return decode_state(read_vouched(folder, tensors_name, sums), progress, folder.string());
}

}  // namespace

fs::path save(const fs::path& run, const State& state, int keep) {
  const fs::path checkpoints = checkpoints_of(run);
  make_folder(checkpoints);
  remove_stale_parts(checkpoints);
  const fs::path part = checkpoints / fmt::format(".step-{}.part", state.step);
  const fs::path folder = checkpoints / fmt::format("step-{}", state.step);
  try {
    write_contents(part, state);
    put_in_place(part, folder);
  } catch (Error& error) {
    remove_quietly(part);
    throw std::move(error.during(fmt::format("saving the checkpoint of step {}", state.step)));
  }
  prune(run, folder, keep);
  return folder;
}

std::optional<State> load_newest(const fs::path& run, std::vector<std::string>* skipped) {
  for (const Candidate& candidate : candidates(run)) {
    try {
      return load(candidate.folder);
    } catch (const Error& error) {
      if (skipped != nullptr) skipped->emplace_back(error.what());
    }
  }
  return std::nullopt;
}

State load(const fs::path& folder) {
  try {
    return load_checked(folder);
  } catch (const std::runtime_error& error) {
    throw Error(Kind::checkpoint, fmt::format("{}: {}", folder.string(), error.what()));
  }
}

State decode_state(std::string_view tensors, std::string_view progress, const std::string& where) {
  State state;
  try {
    Counts counts;
    read_progress(progress, state, counts);
    read_tensors_into(tensors, where, counts, state);
  } catch (const std::runtime_error& error) {
    throw Error(Kind::checkpoint, fmt::format("{}: {}", where, error.what()));
  }
  return state;
}

std::string weights_hash(std::span<const float> weights) { return sha256(std::as_bytes(weights)); }

}  // namespace dtrain::store
