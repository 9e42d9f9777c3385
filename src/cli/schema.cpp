#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "job/catalogue.hpp"

namespace dtrain::cli {

int schema(const Options&) {
  print_json(job::schema());
  return 0;
}

}  // namespace dtrain::cli
