// Configurations: nginx's and MediaMTX's, what becomes of them, and our own file.
import { strict as assert } from "node:assert";
import { parse } from "yaml";
import { configSchema } from "#app/config-schema.ts";
import { fileLayer } from "#app/config-sources.ts";
import { fromMediaMtx } from "#app/migrate/mediamtx.ts";
import { fromNginxRtmp } from "#app/migrate/nginx-rtmp.ts";
import { readNginx } from "#app/migrate/nginx-syntax.ts";
import { fitted, type Outcome, outcomeYaml } from "#app/migrate/outcome.ts";
import { asSchema, wrongFields } from "#base/schema.ts";
import { ofLines } from "../mutate.ts";
import { mayRefuse, type Target } from "../target.ts";

const NGINX = `worker_processes auto;
rtmp {
  include limits.conf;
  server {
    listen 127.0.0.1:1936;
    application live {
      live on; hls on; hls_path /tmp/hls; hls_fragment 2s; hls_playlist_length 60s;
      on_publish http://127.0.0.1/auth; on_publish_done "http://h/x?a=$name";
      push rtmp://cdn.example/live;
    }
    application ladder {
      live on;
      exec ffmpeg -i rtmp://localhost/ladder/$name -c:v libx264 -s 1280x720 -b:v 3000k -f flv rtmp://localhost/show/$name_hi
                  -c:v libx264 -vf scale=-2:360 -b:v 800k -f flv "rtmp://localhost/show/$name_low";
    }
    application show { live on; hls on; hls_fragment 4; hls_variant _hi BANDWIDTH=3000000; }
    application relay { live on; pull rtmp://upstream.example/app/feed name=feed static; }
  }
}
http { server { listen 8080; } }
`;

const MEDIAMTX = `authMethod: internal
authInternalUsers:
  - { user: any, pass: , permissions: [{ action: read }] }
  - user: studio
    pass: studio-pass
    permissions: [{ action: publish, path: news }, { action: read }]
  - { user: desk, pass: desk-pass-1, ips: [10.0.0.0/8], permissions: [{ action: publish, path: "~^sp" }] }
rtmpAddress: :1940
hlsSegmentDuration: 1s
hlsPartDuration: 200ms
hlsSegmentCount: 7
pathDefaults: &defaults
  record: no
paths:
  news: { <<: *defaults, source: rtsp://user:pw@10.0.0.5:554/stream, sourceOnDemand: yes }
  sport:
    runOnReady: ffmpeg -i rtsp://localhost:$RTSP_PORT/$MTX_PATH -c:v libx264 -s 854x480 -b:v 900k -f rtsp "rtsp://u:p@h/low"
  whep: { source: whep://host/x }
  all_others:
`;

const OURS = `host: 127.0.0.1
port: 8080
channels:
  - name: cam
    ladder: [{ copy: true }, { height: 360, bitrateKbps: 800 }]
    keys: [{ name: studio, key: 0123456789abcdef }]
    inputs: [{ kind: udp, port: 5004, rtp: true }, { kind: pull, url: "rtsp://u:p@h/x" }]
    limits: { bitrateKbps: 8000 }
hooks:
  publish: { url: http://h/x, secret: 0123456789abcdef0123 }
`;

const options = { streams: ["live/news", "live/sport"], secret: "0123456789abcdef0123" };

/** What is written is a configuration that we take, however odd what was read. */
function written(outcome: Outcome): void {
  const text = outcomeYaml(fitted(outcome), "x");
  assert.deepEqual([...wrongFields(asSchema(configSchema), parse(text))], [], text);
}

export const configurationTargets: readonly Target[] = [
  {
    name: "nginx",
    seeds: () => [Buffer.from(NGINX)],
    mutations: [ofLines],
    run(input) {
      const text = input.toString("utf8");
      const files = { find: (pattern: string) => (pattern === "limits.conf" ? ["l"] : []), read: () => text };
      mayRefuse(() => written(fromNginxRtmp(readNginx("nginx.conf", files), options)));
    },
  },
  {
    name: "mediamtx",
    seeds: () => [Buffer.from(MEDIAMTX)],
    mutations: [ofLines],
    run: (input) => mayRefuse(() => written(fromMediaMtx(input.toString("utf8"), "m.yml", options.secret))),
  },
  {
    name: "configuration",
    seeds: () => [Buffer.from(OURS)],
    mutations: [ofLines],
    run(input) {
      mayRefuse(() => {
        const { value } = fileLayer("c.yaml", input.toString("utf8"));
        for (const { path, message } of wrongFields(asSchema(configSchema), value))
          assert.ok(Array.isArray(path) && message.length > 0);
      });
    },
  },
];
