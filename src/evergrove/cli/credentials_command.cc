// evergrove credentials: makes the certificate and the token that a run on several machines needs.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/result_json.h"
#include "evergrove/cli/terminal.h"
#include "evergrove/runtime/tls_credentials.h"

namespace evergrove::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  evergrove credentials --out secrets\n"
    "  evergrove credentials --out secrets --host train.example.org --host 10.0.0.7 --json\n"
    "\n"
    "cert.pem and key.pem are for who listens, ca.pem for who connects, token for both. key.pem\n"
    "and token are secret: whoever has them can join the run. Copy them to its machines by a way\n"
    "that nobody else can read. Processes of Evergrove need no --host: they check that a peer has\n"
    "the key, whatever its machine is called.";

struct Options {
  std::string folder;
  std::vector<std::string> hosts;
  bool json = false;
};

Result<int> make(const Options& options) {
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::Credentials credentials,
                             runtime::make_credentials(options.hosts));
  EVERGROVE_RETURN_IF_ERROR(runtime::write_credentials(credentials, options.folder));
  const auto path = [&](const char* name) { return options.folder + "/" + name; };
  if (options.json) {
    print_json({{"tls_cert", path("cert.pem")},
                {"tls_key", path("key.pem")},
                {"tls_ca", path("ca.pem")},
                {"token_file", path("token")}});
    return 0;
  }
  const std::string folder = printable(options.folder);
  std::printf("who listens   --token-file %s/token --tls-cert %s/cert.pem --tls-key %s/key.pem\n",
              folder.c_str(), folder.c_str(), folder.c_str());
  std::printf("who connects  --token-file %s/token --tls-ca %s/ca.pem\n", folder.c_str(),
              folder.c_str());
  return 0;
}

}  // namespace

void add_credentials(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand(
      "credentials", "Make the certificate and token of a run on several machines");
  auto options = std::make_shared<Options>();
  command->add_option("--out", options->folder, "Folder to write cert.pem, key.pem, ca.pem, token")
      ->required();
  command->add_option("--host", options->hosts,
                      "Name or address to be in the certificate, for browsers; again for more");
  command->add_flag("--json", options->json, "The files' paths as one JSON object");
  command->footer(kFooter);
  command->callback([&chosen, options] { chosen = [options] { return make(*options); }; });
}

}  // namespace evergrove::cli
