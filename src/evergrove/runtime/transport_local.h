// Local sockets: the way between two processes of one user on one machine, beside a TCP port of
// loopback that speaks no TLS. A message takes the system a third of the time that it takes over
// TCP, and a large one goes through memory that both have (transport_shared.h).
//
// The name of a local socket is that of the port, in the network namespace that the port is in:
// whoever reaches the one reaches the other. Only processes of one user are connected, others by
// TCP; both greet as there, by token, run and version.
//
//   const Descriptor listening = listen_locally({"127.0.0.1", 7070});   // not open: TCP alone
//   Descriptor socket = connect_locally({"127.0.0.1", 7070});           // not open: by TCP
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_sockets.h"
#include "evergrove/runtime/transport_stream.h"

namespace evergrove::runtime {

// Beside a port that is listened on; does not block.
Descriptor listen_locally(const HostPort& place);
// The next that has connected, if there is one: it is this user's. `peer` is left empty.
AcceptedSocket accept_locally(const Descriptor& listening);
Descriptor connect_locally(const HostPort& place);
std::unique_ptr<TransportStream> local_transport_stream(Descriptor socket);

}  // namespace evergrove::runtime
